#!/bin/sh
# A program to try the driver with, until you have the real one: it prints what a miner would
# print. It has no API, so the driver reads the output.
echo "fake-miner 1.0.0"
[ "$1" = "--version" ] && exit 0
echo "connecting to a pool that does not exist"
echo "mining"
while :; do
    echo "speed $((1000 + $(date +%s) % 50)).5 H/s"
    echo "share accepted"
    sleep 2
done
