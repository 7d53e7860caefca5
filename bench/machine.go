package main

import place "github.com/mp3lathe/mp3lathe/bench/machine"

// machine is where the figures come from, and what was measured on it.
type machine struct {
	place.Machine
	Ours   string `json:"mp3lathe"`
	FFmpeg string `json:"ffmpeg"`
	LAME   string `json:"lame"`
}

func describeMachine(program string) machine {
	return machine{
		Machine: place.Describe(), Ours: place.FirstLine(program, "version"),
		FFmpeg: place.FirstLine("ffmpeg", "-version"), LAME: place.FirstLine("lame", "--version"),
	}
}

// load is what others did on the machine while something was measured.
type load = place.Load

var watch = place.Watch
