"""What tests share: fakes, real servers, processes and data. This package contains no tests."""
