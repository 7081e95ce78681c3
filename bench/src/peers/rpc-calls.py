# Asks for a domain's state COUNT times and prints the milliseconds: rpc-calls.py URI DOMAIN COUNT
import sys
import time

import libvirt

connection = libvirt.open(sys.argv[1])
domain = connection.lookupByName(sys.argv[2])
began = time.perf_counter()
for _ in range(int(sys.argv[3])):
    domain.state()
print((time.perf_counter() - began) * 1000)
