"""`make bench`: JSON lines."""

from benchmarks import issue, start_up

issue.main()
start_up.main()
