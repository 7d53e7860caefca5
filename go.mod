module github.com/mp3lathe/mp3lathe

go 1.25.0

require (
	github.com/alecthomas/kong v1.17.0
	github.com/asticode/go-astiav v0.39.0
	github.com/google/go-cmp v0.7.0
	github.com/mattn/go-runewidth v0.0.16
	github.com/vbauerster/mpb/v8 v8.9.3
	go.uber.org/goleak v1.3.0
	golang.org/x/sys v0.37.0
	golang.org/x/term v0.36.0
	golang.org/x/text v0.30.0
	pgregory.net/rapid v1.3.0
)

require (
	github.com/VividCortex/ewma v1.2.0 // indirect
	github.com/acarl005/stripansi v0.0.0-20180116102854-5a71ef0e047d // indirect
	github.com/asticode/go-astikit v0.42.0 // indirect
	github.com/rivo/uniseg v0.4.7 // indirect
)
