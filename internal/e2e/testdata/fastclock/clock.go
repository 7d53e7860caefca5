package main

// original is the clock_gettime of the vDSO, which the kernel puts into each process and
// which the runtime asks for the time.
var original uintptr

// install has the runtime ask clock, in clock_amd64.s, instead.
func install()

func init() { install() }
