// Package app puts services together from settings: it has the flags of the
// commands, opens what the flags name, and runs a service on it until its context
// ends. The commands of the fleet run one service each, `mp3lathe serve` all of them
// on parts that it brings along.
//
// What links libav is in package workers below, so that the other services build
// without a C compiler.
package app
