package mp3

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
)

// lameDelay is LAME's encoder delay in samples.
const lameDelay = 576

// encoding is one way to call LAME.
type encoding struct {
	rate    int
	mode    ChannelMode
	method  Method
	kbps    int // CBR's bit rate, ABR's target
	quality int // VBR's -V
}

func (e encoding) String() string {
	how := map[Method]string{CBR: "CBR", ABR: "ABR", VBR: "V"}[e.method]
	return fmt.Sprintf("%d %v %s%d", e.rate, e.mode, how, e.kbps+e.quality)
}

func (e encoding) args() []string {
	mode := map[ChannelMode]string{Stereo: "s", JointStereo: "j", DualChannel: "d", Mono: "m"}[e.mode]
	args := []string{"-m", mode}
	switch e.method {
	case CBR:
		return append(args, "--cbr", "-b", strconv.Itoa(e.kbps))
	case ABR:
		return append(args, "--abr", strconv.Itoa(e.kbps))
	}
	return append(args, "-V", strconv.Itoa(e.quality))
}

func (e encoding) channels() int { return Header{Mode: e.mode}.Channels() }

func encodings() []encoding {
	var all []encoding
	cbr := func(rate int, mode ChannelMode, kbps ...int) {
		for _, k := range kbps {
			all = append(all, encoding{rate: rate, mode: mode, method: CBR, kbps: k})
		}
	}
	cbr(44100, JointStereo, Bitrates(MPEG1)...)
	cbr(44100, Mono, 32, 40, 128)
	cbr(44100, DualChannel, 256)
	cbr(48000, Stereo, 32, 48, 128, 320)
	cbr(32000, Stereo, 32, 64, 320)
	cbr(24000, JointStereo, Bitrates(MPEG2)...)
	cbr(24000, Mono, 8, 24, 64)
	cbr(22050, Stereo, 8, 64, 160)
	cbr(16000, Mono, 8, 16, 48)
	cbr(12000, Stereo, 8, 16, 64)
	cbr(11025, Mono, 8, 24)
	cbr(8000, JointStereo, 8, 32, 64)
	cbr(8000, Mono, 8, 64)
	for _, e := range []encoding{
		{rate: 44100, mode: JointStereo, kbps: 128},
		{rate: 44100, mode: Mono, kbps: 80},
		{rate: 48000, mode: Stereo, kbps: 275},
		{rate: 22050, mode: JointStereo, kbps: 56},
		{rate: 8000, mode: Mono, kbps: 24},
	} {
		e.method = ABR
		all = append(all, e)
	}
	vbr := func(rate int, mode ChannelMode, qualities ...int) {
		for _, q := range qualities {
			all = append(all, encoding{rate: rate, mode: mode, method: VBR, quality: q})
		}
	}
	vbr(44100, JointStereo, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	vbr(48000, Mono, 0, 5, 9)
	vbr(32000, Stereo, 4)
	vbr(24000, JointStereo, 2, 7)
	vbr(16000, Mono, 5)
	vbr(11025, Stereo, 3)
	vbr(8000, Mono, 9)
	return all
}

// TestLAME encodes in all of LAME's ways, compares what LAME says of the file
// in its Info frame with the file, and then puts an Info frame of ours there.
func TestLAME(t *testing.T) {
	for _, e := range encodings() {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			sound := chirp(e.rate, e.channels(), e.rate/2+77)
			file := lame(t, sound, e.args()...)
			audio, theirs := splitInfo(t, file)
			checkFrames(t, audio, e)
			padding := Padding(sound.length(), int64(len(audio)), audio[0].header.Samples(), lameDelay)
			if theirs != nil {
				checkLAMEsInfo(t, *theirs, file, audio, e, padding)
			}
			checkOurInfo(t, sound, audio, theirs, e, padding)
		})
	}
}

// splitInfo returns the audio frames of the file, and its Info frame if it has
// one: LAME writes none where its fixed layout has no room.
func splitInfo(t testing.TB, file []byte) ([]frame, *frame) {
	t.Helper()
	frames := framesOf(t, file)
	if !bytes.Equal(join(frames), file) {
		t.Fatal("the frames are not the file")
	}
	for _, f := range frames[1:] {
		if IsInfoFrame(f.data) {
			t.Fatal("an audio frame passes for an Info frame")
		}
	}
	if IsInfoFrame(frames[0].data) {
		return frames[1:], &frames[0]
	}
	return frames, nil
}

func checkFrames(t *testing.T, audio []frame, e encoding) {
	t.Helper()
	v, _ := VersionOf(e.rate)
	for _, f := range audio {
		h := f.header
		if h.Version != v || h.Layer != 3 || h.SampleRate != e.rate || h.Mode != e.mode {
			t.Fatalf("header %+v", h)
		}
		if e.method == CBR && h.Bitrate != e.kbps {
			t.Fatalf("header %+v in CBR", h)
		}
	}
}

// checkLAMEsInfo compares LAME's own Info frame with its file.
func checkLAMEsInfo(t *testing.T, info frame, file []byte, audio []frame, e encoding, padding int) {
	t.Helper()
	i, err := ParseInfo(info.data)
	if err != nil {
		t.Fatal(err)
	}
	want := InfoHeader{
		Frame: info.header, Method: e.method, Bitrate: i.Bitrate, Quality: i.Quality,
		Frames: uint32(len(audio)), HasFrames: true, Bytes: uint32(len(file)), HasBytes: true, TOC: i.TOC,
		Gapless: true, Encoder: i.Encoder, Delay: lameDelay, Padding: padding, Lowpass: i.Lowpass,
		SourceRate: sourceRates[sourceRateCode(e.rate)], MusicCRC: CRC16(0, join(audio)),
	}
	if !reflect.DeepEqual(i, want) {
		t.Errorf("got  %+v\nwant %+v", i, want)
	}
	switch {
	case e.method == CBR && i.Bitrate != e.kbps:
		t.Errorf("CBR of %d kb/s", i.Bitrate)
	case e.method == ABR && i.Bitrate != min(e.kbps, 255):
		t.Errorf("ABR of %d kb/s", i.Bitrate)
	case i.TOC == nil || i.Quality < 0 || len(i.Encoder) < 5 || i.Lowpass < 1000:
		t.Errorf("missing field in %+v", i)
	}
	crcAt := headerSize + info.header.SideInfoSize() + xingSize + tocEntries + qualitySize + lameTagCRC
	if got, want := CRC16(0, info.data[:crcAt]), binary.BigEndian.Uint16(info.data[crcAt:]); got != want {
		t.Errorf("tag CRC %#04x, LAME has %#04x", got, want)
	}
}

// ourInfo makes an InfoHeader from what an encoder knows of its stream.
func ourInfo(audio []frame, e encoding, padding int) InfoHeader {
	i := InfoHeader{
		Frame: audio[0].header, Method: e.method, Bitrate: e.kbps, Quality: 50,
		HasFrames: true, HasBytes: true, TOC: new([tocEntries]byte),
		Gapless: true, Encoder: "LAME3.100", Delay: lameDelay, Padding: padding, Lowpass: 16000,
		MusicCRC: CRC16(0, join(audio)),
	}
	if i.Size() == 0 {
		i.Gapless = false
	}
	var toc TOC
	for _, f := range audio {
		toc.Add(len(f.data))
	}
	*i.TOC = toc.Table(i.Size())
	i.Frames = uint32(len(audio))
	i.Bytes = uint32(i.Size() + len(join(audio)))
	return i
}

// checkOurInfo replaces LAME's Info frame by one of ours and asks the judges.
func checkOurInfo(t *testing.T, sound pcm, audio []frame, theirs *frame, e encoding, padding int) {
	t.Helper()
	i := ourInfo(audio, e, padding)
	if theirs != nil && !i.Gapless {
		t.Error("no room for what LAME has room for")
	}
	if i.Size() == 0 {
		if smallest := headerSize + audio[0].header.SideInfoSize() + xingSize; audio[0].header.FrameSize() >= smallest {
			t.Errorf("nothing fits in frames of %d bytes", audio[0].header.FrameSize())
		}
		return
	}
	info, err := i.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseInfo(info); err != nil || got.Frames != i.Frames || got.Gapless != i.Gapless || got.Padding != padding && i.Gapless {
		t.Fatalf("%+v, %v", got, err)
	}
	file := append(info, join(audio)...)
	if got := framesOf(t, file); len(got) != 1+len(audio) {
		t.Fatalf("%d frames in our file", len(got))
	}
	path := writeFile(t, "ours.mp3", file)
	mp3val(t, path)

	want := int(sound.length())
	if !i.Gapless {
		// All of it, but mpg123 takes the decoder's delay off even so.
		want = len(audio)*audio[0].header.Samples() - DecoderDelay
	}
	if got := mpg123Samples(t, path, e.channels()); got != want {
		t.Errorf("mpg123 plays %d samples, want %d", got, want)
	}
}

// TestFFmpegReadsOurInfo is apart from TestLAME for ffmpeg's start-up time.
func TestFFmpegReadsOurInfo(t *testing.T) {
	for _, e := range []encoding{
		{rate: 44100, mode: JointStereo, method: CBR, kbps: 128},
		{rate: 48000, mode: Stereo, method: CBR, kbps: 32},
		{rate: 24000, mode: Mono, method: CBR, kbps: 24},
		{rate: 44100, mode: JointStereo, method: VBR, quality: 4},
		{rate: 22050, mode: Mono, method: ABR, kbps: 48},
		{rate: 8000, mode: Mono, method: VBR, quality: 5},
	} {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			sound := chirp(e.rate, e.channels(), 2*e.rate+5)
			audio, _ := splitInfo(t, lame(t, sound, e.args()...))
			spf := audio[0].header.Samples()
			i := ourInfo(audio, e, Padding(sound.length(), int64(len(audio)), spf, lameDelay))
			info, err := i.Encode()
			if err != nil {
				t.Fatal(err)
			}
			path := writeFile(t, "ours.mp3", append(info, join(audio)...))
			if got, want := ffmpegSamples(t, path, e.channels()), int(sound.length()); got != want {
				t.Errorf("ffmpeg plays %d samples, want %d", got, want)
			}
			// ffprobe reports all frames, gaps not taken off.
			want := float64(len(audio)*spf) / float64(e.rate)
			if got := ffprobeDuration(t, path); math.Abs(got-want) > 1e-4 {
				t.Errorf("ffprobe reads %v s, want %v", got, want)
			}
		})
	}
}

// TestParseInfoFFmpeg reads the Info frames of ffmpeg's muxer, behind the ID3v2
// tag that it always writes.
func TestParseInfoFFmpeg(t *testing.T) {
	sound := chirp(44100, 2, 60_000)
	in := writeFile(t, "in.wav", sound.wav())
	for _, e := range []encoding{{method: CBR, kbps: 192}, {method: VBR, quality: 3}} {
		rate := []string{"-b:a", "192k"}
		if e.method == VBR {
			rate = []string{"-q:a", "3"}
		}
		out := filepath.Join(t.TempDir(), "out.mp3")
		run(t, "ffmpeg", append(append([]string{"-v", "error", "-i", in}, rate...), "-write_id3v1", "1", out)...)
		file, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		frames := framesOf(t, file)
		audio := frames[1:]
		i, err := ParseInfo(frames[0].data)
		if err != nil {
			t.Fatal(err)
		}
		padding := Padding(sound.length(), int64(len(audio)), 1152, i.Delay)
		if i.Method != e.method || i.Frames != uint32(len(audio)) || i.Bytes != uint32(len(join(frames))) ||
			!i.Gapless || i.Encoder[:4] != "Lavc" || i.Padding != padding || i.MusicCRC != CRC16(0, join(audio)) {
			t.Errorf("%v: %+v", e, i)
		}
	}
}

// TestLAMEProtected reads an Info frame that has a CRC after its header, which
// moves nothing.
func TestLAMEProtected(t *testing.T) {
	audio, info := splitInfo(t, lame(t, chirp(44100, 2, 44100), "-b", "128", "-p"))
	i, err := ParseInfo(info.data)
	if err != nil || !i.Frame.Protected || !i.Gapless || i.Delay != lameDelay || i.MusicCRC != CRC16(0, join(audio)) {
		t.Errorf("%+v, %v", i, err)
	}
	i.Frame = audio[0].header
	ours, err := i.Encode()
	if err != nil {
		t.Fatal(err)
	}
	mp3val(t, writeFile(t, "ours.mp3", append(ours, join(audio)...)))
}
