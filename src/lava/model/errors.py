"""What can go wrong in a job, told apart by who must act.

The class decides the ``error_type`` that the final ``lava``/``job`` result carries and the help text
that closes the log.  Source: dispatcher specification 6.1.
"""

from __future__ import annotations

from typing import ClassVar


class LavaError(Exception):
    """A failure with an owner.  Raise a subclass; the message quotes the facts."""

    #: value of ``error_type`` in results, APIs and notifications
    error_type: ClassVar[str] = "Unknown"
    #: last line of the log for a job that ends with this error
    help_text: ClassVar[str] = "The job ended with an unknown error."


class JobError(LavaError):
    """The submission, or the software under test, is wrong: the submitter acts."""

    error_type = "Job"
    help_text = "JobError: your job could not finish; see the error above and correct the job or the tested software."


class InfrastructureError(LavaError):
    """Lab, network or board failed; the device is suspect: the lab admin acts."""

    error_type = "Infrastructure"
    help_text = "InfrastructureError: the lab failed this job; its admin should look at the error above."


class ConnectionClosedError(InfrastructureError):
    """The console ended while the job still needed it."""

    help_text = "ConnectionClosedError: the connection to the device was closed; the lab's admin should look at it."


class TestError(LavaError):
    """The test shell could not go on: the author of the test acts."""

    __test__ = False  # not a test class, whatever pytest thinks of the name
    error_type = "Test"
    help_text = "TestError: a test failed to run; look at the error above in the test definition."


class TestTimeoutError(LavaError):
    """A test block that may be skipped ran out of time."""

    __test__ = False
    error_type = "LAVATimeout"
    help_text = "LAVATimeoutError: a test ran out of time."


class ConfigurationError(LavaError):
    """The device or the worker is configured wrongly: the instance admin acts."""

    error_type = "Configuration"
    help_text = "ConfigurationError: the device or worker configuration is wrong; the instance's admin acts."


class JobCanceled(LavaError):
    """Somebody asked for it."""

    error_type = "Canceled"
    help_text = "JobCanceled: the job was canceled."


class LavaBug(LavaError):
    """A mistake of this program: we act.  Wraps every exception that nobody expected."""

    error_type = "Bug"
    help_text = "LAVABug: this is a bug in LAVA; please report it with the traceback above."
