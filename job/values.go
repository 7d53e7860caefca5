package job

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// This file reads the values of settings as people write them, for the command
// line and the HTTP API alike.

// Kbps is a bit rate in kb/s. As text: 192, 192k or 192kbps.
type Kbps int

// UnmarshalText implements [encoding.TextUnmarshaler].
func (k *Kbps) UnmarshalText(b []byte) error {
	s := strings.TrimSuffix(strings.ToLower(string(b)), "bps")
	n, err := strconv.Atoi(strings.TrimSuffix(s, "k"))
	if err != nil || n <= 0 {
		return fmt.Errorf("%q is not a bit rate; want kb/s such as 192", b)
	}
	*k = Kbps(n)
	return nil
}

// Hertz is a sample rate in Hz. As text: 44100, 44100Hz or 44.1k.
type Hertz int

// UnmarshalText implements [encoding.TextUnmarshaler].
func (h *Hertz) UnmarshalText(b []byte) error {
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
	*h = Hertz(math.Round(f))
	return nil
}

// Channels of the MP3: 0 keeps the source's (at most two), 1 is mono, 2 stereo. As
// text: keep, mono or 1, stereo or 2.
type Channels int

// UnmarshalText implements [encoding.TextUnmarshaler].
func (c *Channels) UnmarshalText(b []byte) error {
	switch strings.ToLower(string(b)) {
	case "keep":
		*c = 0
	case "mono", "1":
		*c = 1
	case "stereo", "2":
		*c = 2
	default:
		return fmt.Errorf("%q: want keep, mono or stereo", b)
	}
	return nil
}

// Position is a place in the source or a length. As text: 62.5, 90s, 1m30s, 1:02
// or 1:02:03.5.
type Position time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *Position) UnmarshalText(b []byte) error {
	d, err := parseTime(string(b))
	*p = Position(d)
	return err
}

// LengthLimit bounds the length of the MP3; a negative one is no limit. As text: a
// [Position] above 0, or "none".
type LengthLimit time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (l *LengthLimit) UnmarshalText(b []byte) error {
	if string(b) == "none" {
		*l = -1
		return nil
	}
	d, err := parseTime(string(b))
	if err == nil && d == 0 {
		err = fmt.Errorf("a limit of 0 lets nothing through; want a time, or none")
	}
	*l = LengthLimit(d)
	return err
}

// parseTime reads seconds ("62.5"), a Go duration ("1m30s") or a clock
// ("1:02:03.5"), none of them negative.
func parseTime(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a time; want seconds (62.5), 1m30s or 1:02:03.5", s)
	s = strings.TrimSpace(s)
	if strings.Contains(s, ":") {
		parts := strings.Split(s, ":")
		units := "hms"
		if len(parts) > 3 {
			return 0, bad
		}
		units = units[3-len(parts):]
		var b strings.Builder
		for i, part := range parts {
			whole, fraction, dot := strings.Cut(part, ".")
			last := i == len(parts)-1
			if !isDigits(whole) || dot && !(last && isDigits(fraction)) ||
				i > 0 && (len(whole) > 2 || len(whole) == 2 && whole[0] > '5') {
				return 0, bad
			}
			b.WriteString(part)
			b.WriteByte(units[i])
		}
		s = b.String()
	} else if whole, fraction, dot := strings.Cut(s, "."); isDigits(whole) && (!dot || isDigits(fraction)) {
		s += "s"
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, bad
	}
	return d, nil
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// Switch is on or off. As text: true, false and what else [strconv.ParseBool] reads;
// "on", as a browser's checkbox says; "", as a name without a value in a query.
type Switch bool

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Switch) UnmarshalText(b []byte) error {
	switch text := strings.ToLower(string(b)); text {
	case "", "on", "yes":
		*s = true
	case "off", "no":
		*s = false
	default:
		v, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q: want true or false", b)
		}
		*s = Switch(v)
	}
	return nil
}
