"""`make bench`: JSON lines."""

from benchmarks import issue, scan, start_up

issue.main()
start_up.main()
scan.main()
