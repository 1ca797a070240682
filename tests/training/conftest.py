"""Fixtures of these tests."""

from textovsr.tests.helpers.threads import one_thread as one_thread
