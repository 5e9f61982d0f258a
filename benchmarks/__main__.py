"""`make bench`: JSON lines."""

from benchmarks import grid, issue, night, poll, scan, serve, start_up

issue.main()
start_up.main()
scan.main()
poll.main()
night.main()
serve.main()
grid.main()
