"""`make bench`: JSON lines."""

from benchmarks import grid, issue, night, poll, scan, start_up

issue.main()
start_up.main()
scan.main()
poll.main()
night.main()
grid.main()
