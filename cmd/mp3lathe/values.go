package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/mp3lathe/mp3lathe/transcode"
)

// kbps is a bit rate on the command line: 192, 192k or 192kbps.
type kbps int

func (k *kbps) UnmarshalText(b []byte) error {
	s := strings.TrimSuffix(strings.ToLower(string(b)), "bps")
	n, err := strconv.Atoi(strings.TrimSuffix(s, "k"))
	if err != nil || n <= 0 {
		return fmt.Errorf("%q is not a bit rate; want kb/s such as 192", b)
	}
	*k = kbps(n)
	return nil
}

// hertz is a sample rate on the command line: 44100 or 44.1k.
type hertz int

func (h *hertz) UnmarshalText(b []byte) error {
	bad := fmt.Errorf("%q is not a sample rate; want Hz such as 44100, or 44.1k", b)
	s := strings.TrimSuffix(strings.ToLower(string(b)), "hz")
	digits, kilo := strings.CutSuffix(s, "k")
	whole, fraction, dot := strings.Cut(digits, ".")
	if !isDigits(whole) || dot && !(kilo && isDigits(fraction)) {
		return bad
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return bad
	}
	if kilo {
		f *= 1000
	}
	if f < 1 || f > 1e7 {
		return bad
	}
	*h = hertz(math.Round(f))
	return nil
}

// channels is a channel wish on the command line.
type channels transcode.Channels

func (c *channels) UnmarshalText(b []byte) error {
	switch strings.ToLower(string(b)) {
	case "keep":
		*c = channels(transcode.KeepChannels)
	case "mono", "1":
		*c = channels(transcode.Mono)
	case "stereo", "2":
		*c = channels(transcode.Stereo)
	default:
		return fmt.Errorf("%q: want keep, mono or stereo", b)
	}
	return nil
}

// tagFields pairs the tags with their names on the command line and in JSON.
func tagFields(t *transcode.Tags) []tagField {
	return []tagField{
		{"title", &t.Title}, {"artist", &t.Artist}, {"album", &t.Album},
		{"album_artist", &t.AlbumArtist}, {"composer", &t.Composer}, {"date", &t.Date},
		{"track", &t.Track}, {"disc", &t.Disc}, {"genre", &t.Genre}, {"comment", &t.Comment},
		{"copyright", &t.Copyright}, {"grouping", &t.Grouping}, {"lyrics", &t.Lyrics},
		{"description", &t.Description},
	}
}

type tagField struct {
	name  string
	value *string
}

// setTag sets one tag by its name.
func setTag(tags *transcode.Tags, name, value string) error {
	for _, f := range tagFields(tags) {
		if f.name == strings.ReplaceAll(strings.ToLower(name), "-", "_") {
			switch {
			case value == "":
				return usagef("the tag %s has no value; --no-tags leaves out the source's tags", f.name)
			case *f.value != "":
				return usagef("the tag %s is given twice", f.name)
			}
			*f.value = value
			return nil
		}
	}
	return usagef("no tag is called %q; there are %s", name, strings.Join(tagNames(), ", "))
}

func tagNames() []string {
	var names []string
	for _, f := range tagFields(&transcode.Tags{}) {
		names = append(names, f.name)
	}
	return names
}

// numbers lists numbers for the help.
func numbers(list []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ", "), "[]")
}
