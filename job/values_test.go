package job

import (
	"encoding"
	"testing"
	"time"
	"unicode/utf8"
)

func TestParseTime(t *testing.T) {
	t.Parallel()
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

// reads checks what texts of a value mean; those in bad mean nothing.
func reads[V comparable, P interface {
	*V
	encoding.TextUnmarshaler
}](t *testing.T, good map[string]V, bad ...string) {
	t.Helper()
	for s, want := range good {
		var v V
		if err := P(&v).UnmarshalText([]byte(s)); err != nil || v != want {
			t.Errorf("%T %q is %v, %v; want %v", v, s, v, err, want)
		}
	}
	for _, s := range bad {
		var v V
		if err := P(&v).UnmarshalText([]byte(s)); err == nil {
			t.Errorf("%T %q is %v, want an error", v, s, v)
		} else if !utf8.ValidString(err.Error()) {
			t.Errorf("%T %q: the error %q is not UTF-8", v, s, err)
		}
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	reads(t, map[string]Kbps{"192": 192, "192k": 192, "192kbps": 192, "192K": 192}, "0", "-5", "", "k", "1.5", "\xff")
	reads(t, map[string]Hertz{
		"44100": 44100, "44.1k": 44100, "44.1kHz": 44100, "48k": 48000, "48000Hz": 48000, "11.025k": 11025, "22.05K": 22050,
	}, "44.1", "", "k", "-8000", "1e9k", "99999999", "0", "\xff")
	reads(t, map[string]Channels{"keep": 0, "Keep": 0, "mono": 1, "1": 1, "Stereo": 2, "2": 2}, "", "0", "3", "quad", "\xff")
	reads(t, map[string]Position{"0": 0, "1:02": Position(62 * time.Second)}, "none", "-1", "", "\xff")
	reads(t, map[string]LengthLimit{"none": -1, "1h": LengthLimit(time.Hour), "90": LengthLimit(90 * time.Second)}, "0", "-1", "", "None", "\xff")
	reads(t, map[string]Switch{
		"": true, "on": true, "On": true, "yes": true, "true": true, "TRUE": true, "t": true, "1": true,
		"off": false, "no": false, "false": false, "0": false,
	}, "2", "maybe", " ", "\xff")
}
