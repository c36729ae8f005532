"""What tests share: fakes, real servers, processes and data. Nothing here is a test."""
