"""The signals that cancel a job, and what they mean.  Source: dispatcher specification 1."""

import signal

#: what the job's verdict says
CANCEL_REASONS = {
    signal.SIGUSR1: "the job was canceled: the server does not know it any more",
    **dict.fromkeys(
        (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR2), "the job was canceled"
    ),
}
