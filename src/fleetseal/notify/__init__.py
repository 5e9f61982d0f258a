"""Everything that carries a message about alarms to people: mail, webhook, syslog. Knows no device and no store."""
