package transcode_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/mp3lathe/mp3lathe/transcode"
)

// The audio of a video as an MP3 file.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	r, err := transcode.ConvertFile(context.Background(), filepath.Join(dir, "melody.mp3"), "../testdata/melody.mp4", nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Settings.Encoding, r.Settings.SampleRate, "Hz,", r.Samples, "samples")
	// Output: VBR 2 44100 Hz, 441011 samples
}

// From any reader to any writer, here in memory.
func ExampleConvert() {
	source, err := os.ReadFile("../testdata/phone.3gp")
	if err != nil {
		log.Fatal(err)
	}
	var mp3 bytes.Buffer
	r, err := transcode.Convert(context.Background(), &mp3, bytes.NewReader(source), &transcode.Options{
		Encoding: transcode.CBR(32),
		Channels: transcode.Mono,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Track.Codec, "to", r.Settings.Encoding, r.BytesWritten == int64(mp3.Len()))
	// Output: amr_nb to CBR 32 true
}

// A cut, exact to the sample.
func ExampleConvert_cut() {
	source, err := os.Open("../testdata/melody.mp4")
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	var mp3 bytes.Buffer
	r, err := transcode.Convert(context.Background(), &mp3, source, &transcode.Options{
		Start:    2500 * time.Millisecond,
		Duration: time.Second,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Samples, "samples,", r.Duration)
	// Output: 44100 samples, 1s
}

// Progress, and a way to stop.
func ExampleOptions_progress() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_, err := transcode.ConvertFile(ctx, os.DevNull, "../testdata/melody.mp4", &transcode.Options{
		Progress: func(p transcode.Progress) {
			if p.Position > 0 {
				cancel() // the user has seen enough
			}
		},
	})
	fmt.Println(errors.Is(err, context.Canceled))
	// Output: true
}

// Errors have a kind that errors.Is finds, a code for programs and a sentence for
// people.
func ExampleError() {
	_, err := transcode.ConvertFile(context.Background(), os.DevNull, "../testdata/media/bad-video-only.mp4", nil)
	if errors.Is(err, transcode.ErrNoAudio) {
		fmt.Println(transcode.CodeOf(err))
		fmt.Println(err)
	}
	// Output:
	// no_audio
	// transcode: open: no audio track: none of the tracks in the file (1) is audio
}

// What is in a file.
func ExampleProbe() {
	source, err := os.Open("../testdata/audiobook.m4b")
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	info, err := transcode.Probe(context.Background(), source)
	if err != nil {
		log.Fatal(err)
	}
	for _, t := range info.Audio {
		fmt.Println(t.Number, t.Codec, t.Profile, t.SampleRate, t.Layout, t.Duration.Round(time.Second))
	}
	for _, c := range info.Chapters {
		fmt.Println(c.Start, c.Title)
	}
	// Output:
	// 1 aac LC 24000 mono 6s
	// 0s Chapter 1: A, E
	// 2s Chapter 2: Größer 日本
	// 4s Chapter 3: The End
}
