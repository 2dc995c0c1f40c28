"""The long-lived process: settings, consuming, the loop, the jobs, and the command line."""
