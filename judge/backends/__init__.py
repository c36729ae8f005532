"""Who answers: one file for each kind of judge, each behind the port in judge.ports.backend."""
