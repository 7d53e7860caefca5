//go:build !planted

package main

import "github.com/mp3lathe/mp3lathe/internal/cage"

// enter makes the process a caged child, if it was started as one.
func enter() { cage.Enter() }
