"""The rules of a run, pure: what may be started, asked, waited for and recorded, given what has happened and the time."""
