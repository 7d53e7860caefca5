//go:build asan

package main

// sanitized reports whether memory is watched.
const sanitized = true
