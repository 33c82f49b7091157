"""Who sees the study: leads; without a login a browser on the machine of the app alone."""

from __future__ import annotations

from rrg.ui.security.sessions import Session

FOR_LEADS = "This page is for the lead of a study. Log in with the role lead."
NEEDS_LOGIN = (
    "This page shows the names, verdicts and times of all readers. Without a login it opens only in a browser on the "
    "machine of the app, at 127.0.0.1 or localhost. To see it from here, ask the operator to set RRG_AUTH and to give "
    "you the role lead."
)


def reason_closed(session: Session) -> str | None:
    """Return why a session may not see the study and how it could, or None if it may."""
    if session.sees_all_readers:
        return None
    return FOR_LEADS if session.user else NEEDS_LOGIN
