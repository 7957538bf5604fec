"""The Django application that holds test results."""
