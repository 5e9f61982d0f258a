"""Texts that a device, a network or a person might give where a page shows text (INP-UNTRUSTED-TEXT).

A page that shows them must show them as they are: `Watch` fails a test whose page runs one of them, which would be
reported on the console by the policy, asked of another host, or opened as a dialog.
"""

from typing import Final

HOSTILE: Final = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "\"><iframe srcdoc='<script>parent.alert(1)</script>'>",
    "'-alert(1)-'",
    "javascript:alert(1)",
    "//foreign.example/x.js",
    "</textarea></title></style><style>*{display:none}</style>",
    "${alert(1)} {{constructor.constructor('alert(1)')()}} {% debug %}",
    "__proto__",
    "constructor",
    "toString",
    "=cmd|' /C calc'!A0",
    "&lt;b&gt;&amp;&#x3C;i&#x3E;",
    "\u202egnp.exe\u202c\u2066\u2069",
    "\u0627\u0644\u0643\u0627\u0645\u064a\u0631\u0627 AXIS",
    "z\u0351\u036b\u0343\u036a" * 20,
    "\U0001f469\u200d\U0001f527",
    "\x1b[31mred\x07\x00",
    "one\ntwo\r\nthree\tfour",
    " ",
    "9" * 400,
    "null",
)
