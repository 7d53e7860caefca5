package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// codec is how the sound of a source is stored.
type codec struct {
	name      string
	extension string
	encode    []string // ffmpeg's options; nil takes the file of HE-AAC as it is
}

const heAAC = "HE-AAC"

var (
	aac    = codec{"AAC-LC", ".mp4", []string{"-c:v", "copy", "-c:a", "aac", "-b:a", "160k", "-ar", "44100", "-ac", "2"}}
	codecs = []codec{
		aac,
		{heAAC, ".mp4", nil},
		{"ALAC", ".m4a", []string{"-vn", "-c:a", "alac", "-ar", "44100", "-ac", "2"}},
		{"Opus", ".mp4", []string{"-vn", "-c:a", "libopus", "-b:a", "128k", "-ac", "2"}},
		{"PCM", ".mov", []string{"-vn", "-c:a", "pcm_s16le", "-ar", "44100", "-ac", "2"}},
		{"MP3", ".mp4", []string{"-vn", "-c:a", "libmp3lame", "-b:a", "192k", "-ar", "44100", "-ac", "2"}},
	}
)

// melody is looped to make the sources: it has real changes of sound, and video.
const melody = "testdata/melody.mp4"

// source returns a file of a codec and a length, which it makes where there is none
// yet.
func (s *suite) source(ctx context.Context, c codec, length time.Duration) (string, error) {
	path := filepath.Join(s.dir, strings.ToLower(c.name)+"-"+length.String()+c.extension)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	from, options := melody, c.encode
	const once = 10 * time.Minute
	switch {
	case c.encode == nil:
		from, options = s.heAAC, []string{"-map", "0:a:0", "-c", "copy"}
	case length > once: // the shorter one over and over, without encoding it anew
		var err error
		if from, err = s.source(ctx, c, once); err != nil {
			return "", err
		}
		options = []string{"-c", "copy"}
	}
	args := append([]string{"-stream_loop", "-1", "-i", from, "-t", fmt.Sprint(length.Seconds())}, options...)
	return path, ffmpeg(ctx, append(args, path)...)
}

// wav decodes a source for lame.
func (s *suite) wav(ctx context.Context, src string) (string, error) {
	path := src + ".wav"
	return path, ffmpeg(ctx, "-i", src, "-map", "0:a:0", "-c:a", "pcm_s16le", path)
}

func ffmpeg(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "ffmpeg", append([]string{"-nostdin", "-v", "error", "-y"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making a source: %s: %w\n%s", cmd, err, out)
	}
	return nil
}
