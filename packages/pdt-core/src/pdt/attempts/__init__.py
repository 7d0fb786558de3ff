"""Attempts: one execution of a job, told apart from its job, and what is known of it across controllers."""
