package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// numbers lists numbers for the help.
func numbers(list []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ", "), "[]")
}

// seconds is a duration in JSON: seconds, to the microsecond.
func seconds(d time.Duration) float64 {
	return math.Round(d.Seconds()*1e6) / 1e6
}
