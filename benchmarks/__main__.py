"""`make bench`: JSON lines."""

from benchmarks import grid, issue, listing, night, poll, scan, serve, start_up

issue.main()
start_up.main()
scan.main()
poll.main()
night.main()
serve.main()
grid.main()
listing.main()
