package main

import (
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/transcode"
)

func TestParseTime(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"0": 0, "62.5": 62500 * time.Millisecond, "90s": 90 * time.Second, "1m30s": 90 * time.Second,
		"1:02": 62 * time.Second, "1:02:03.5": 3723500 * time.Millisecond, "90:00": 90 * time.Minute,
		"0:00.25": 250 * time.Millisecond, "500ms": 500 * time.Millisecond, "2h": 2 * time.Hour,
		"00:05": 5 * time.Second, " 7 ": 7 * time.Second, "100:00:00": 100 * time.Hour, "1:2:3": 3723 * time.Second,
		"0.000001": time.Microsecond,
	} {
		if got, err := parseTime(s); err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{
		"", " ", "x", "-1", "-0:05", "+5", "1:60", "1:99", "1:02:60", "1:2:3:4", ":", "1:", ":5", "1.5:00", "1:5.",
		".5", "5.", "1e3", "62,5", "1:00s", "0x10", "NaN", "Inf", "99999999999999999999", "1:000", "-5s", "5 s",
	} {
		if got, err := parseTime(s); err == nil {
			t.Errorf("%q is %v, want an error", s, got)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"62.5", "1:02:03.5", "1m30s", "-1", "1:99", "99999999:00:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := parseTime(s); d < 0 || err != nil && d != 0 {
			t.Errorf("%q is %v, %v", s, d, err)
		}
	})
}

func TestLengthLimit(t *testing.T) {
	for s, want := range map[string]time.Duration{"none": -1, "1h": time.Hour, "90": 90 * time.Second} {
		var l lengthLimit
		if err := l.UnmarshalText([]byte(s)); err != nil || time.Duration(l) != want {
			t.Errorf("%q is %v, %v", s, time.Duration(l), err)
		}
	}
}

func TestClock(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0:00.0", 40 * time.Millisecond: "0:00.0", 9940 * time.Millisecond: "0:09.9", 9960 * time.Millisecond: "0:10",
		10 * time.Second: "0:10", 59600 * time.Millisecond: "1:00", 62 * time.Second: "1:02",
		time.Hour: "1:00:00", 3723 * time.Second: "1:02:03", 25 * time.Hour: "25:00:00", -time.Second: "0:00.0",
	} {
		if got := clock(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}

func TestSizeAndSpeed(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1 KiB", 245760: "240 KiB", 1047000: "1022 KiB", 1048000: "1023 KiB",
		1048576: "1.0 MiB", 13472208: "12.8 MiB", 200 << 20: "200 MiB", 3 << 30: "3.0 GiB", 1 << 50: "1024 TiB",
	} {
		if got := size(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
	for f, want := range map[float64]string{0: "0.0x", 3.44: "3.4x", 9.96: "10x", 152.2: "152x"} {
		if got := times(f); got != want {
			t.Errorf("%v is %s, want %s", f, got, want)
		}
	}
	for hz, want := range map[int]string{44100: "44.1 kHz", 48000: "48 kHz", 11025: "11.025 kHz"} {
		if got := kilohertz(hz); got != want {
			t.Errorf("%v is %s, want %s", hz, got, want)
		}
	}
}

func TestValues(t *testing.T) {
	for s, want := range map[string]kbps{"192": 192, "192k": 192, "192kbps": 192, "192K": 192, "0": -1, "-5": -1, "": -1, "k": -1, "1.5": -1} {
		var k kbps
		if err := k.UnmarshalText([]byte(s)); (err != nil) != (want == -1) || err == nil && k != want {
			t.Errorf("bit rate %q is %d, %v", s, k, err)
		}
	}
	for s, want := range map[string]hertz{
		"44100": 44100, "44.1k": 44100, "44.1kHz": 44100, "48k": 48000, "48000Hz": 48000, "11.025k": 11025, "22.05K": 22050,
		"44.1": -1, "": -1, "k": -1, "-8000": -1, "1e9k": -1, "99999999": -1, "0": -1,
	} {
		var h hertz
		if err := h.UnmarshalText([]byte(s)); (err != nil) != (want == -1) || err == nil && h != want {
			t.Errorf("sample rate %q is %d, %v", s, h, err)
		}
	}
	for s, want := range map[string]string{"keep": "keep", "mono": "mono", "1": "mono", "Stereo": "stereo", "2": "stereo"} {
		var c channels
		if err := c.UnmarshalText([]byte(s)); err != nil || transcode.Channels(c).String() != want {
			t.Errorf("channels %q is %s, %v", s, transcode.Channels(c).String(), err)
		}
	}
}
