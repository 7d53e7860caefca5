//go:build planted

package main

import "github.com/mp3lathe/mp3lathe/internal/cage/planted"

// enter is that of a build for tests, whose children commit the faults that sources of
// package planted ask for.
func enter() { planted.Enter() }
