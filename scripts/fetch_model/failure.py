"""What went wrong, in one line, and the exit code that says of which kind it is."""

FAILED, NOT_FOUND, UNREACHABLE = 1, 3, 4


class Failure(Exception):
    def __init__(self, exit_code, message):
        super().__init__(message)
        self.exit_code = exit_code
