"""What a judge is asked and what is read from its answer: rubrics, rendering and parsers, all pure."""
