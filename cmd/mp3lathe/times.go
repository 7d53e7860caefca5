package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// position is a time on the command line: 62.5, 90s, 1m30s, 1:02 or 1:02:03.5.
type position time.Duration

func (p *position) UnmarshalText(b []byte) error {
	d, err := parseTime(string(b))
	*p = position(d)
	return err
}

// lengthLimit is a time on the command line, or "none".
type lengthLimit time.Duration

func (l *lengthLimit) UnmarshalText(b []byte) error {
	if string(b) == "none" {
		*l = -1
		return nil
	}
	d, err := parseTime(string(b))
	if err == nil && d == 0 {
		err = fmt.Errorf("a limit of 0 lets nothing through; want a time, or none")
	}
	*l = lengthLimit(d)
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

// clock writes a duration as a player shows it: 3:05 or 1:02:03, and with a
// tenth below ten seconds.
func clock(d time.Duration) string {
	d = max(d, 0)
	if d = d.Round(100 * time.Millisecond); d < 10*time.Second {
		return fmt.Sprintf("0:%04.1f", d.Seconds())
	}
	return shortClock(d)
}

// shortClock writes a duration as clock does, without tenths.
func shortClock(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// seconds is a duration in JSON: seconds, to the microsecond.
func seconds(d time.Duration) float64 {
	return math.Round(d.Seconds()*1e6) / 1e6
}

// size writes a number of bytes for people.
func size(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n)/1024, 0
	for f >= 1023.5 && unit < 3 {
		f /= 1024
		unit++
	}
	digits := 0
	if unit > 0 && f < 99.95 {
		digits = 1
	}
	return fmt.Sprintf("%.*f %s", digits, f, [...]string{"KiB", "MiB", "GiB", "TiB"}[unit])
}

// times writes a speed as a multiple of real time.
func times(speed float64) string {
	if speed < 9.95 {
		return fmt.Sprintf("%.1fx", speed)
	}
	return fmt.Sprintf("%.0fx", speed)
}

// kilohertz writes a sample rate in Hz for people.
func kilohertz(hz int) string {
	return fmt.Sprintf("%g kHz", float64(hz)/1000)
}
