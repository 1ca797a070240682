"""Fixtures of these tests."""

import pytest

from textovsr.tests.helpers.threads import one_thread as one_thread

pytest.register_assert_rewrite("textovsr.tests.helpers.matrix_checks")  # so that a failure tells what differs
