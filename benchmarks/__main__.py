"""`make bench`: JSON lines."""

from benchmarks import issue, night, poll, scan, start_up

issue.main()
start_up.main()
scan.main()
poll.main()
night.main()
