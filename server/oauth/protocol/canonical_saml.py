"""Reads a signed SAML assertion, and writes what its signature has to cover, by an XML library's own canonical form.

Usage: canonical_saml.py ASSERTION SIGNED_INFO. Prints the digest of the assertion without its signature and the digest
that the signature names, both in base64, and writes the canonical SignedInfo.
"""

import base64
import hashlib
import sys
import xml.dom.minidom
import xml.etree.ElementTree

DSIG = "http://www.w3.org/2000/09/xmldsig#"

with open(sys.argv[1], encoding="utf-8") as file:
    text = file.read()
without_signature = xml.etree.ElementTree.canonicalize(text, exclude_tags=["{%s}Signature" % DSIG])
print(base64.b64encode(hashlib.sha256(without_signature.encode()).digest()).decode())

document = xml.dom.minidom.parseString(text.encode())
(signature,) = document.getElementsByTagNameNS(DSIG, "Signature")
assert signature.parentNode is document.documentElement
(digest,) = document.getElementsByTagNameNS(DSIG, "DigestValue")
print(digest.firstChild.data)
(reference,) = document.getElementsByTagNameNS(DSIG, "Reference")
assert reference.getAttribute("URI") == "#" + document.documentElement.getAttribute("ID")

(info,) = document.getElementsByTagNameNS(DSIG, "SignedInfo")
info.setAttribute("xmlns:ds", DSIG)
with open(sys.argv[2], "wb") as file:
    file.write(xml.etree.ElementTree.canonicalize(info.toxml()).encode())
