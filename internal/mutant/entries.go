package mutant

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/mp3lathe/mp3lathe/internal/boxtree"
)

// codecs are the sample entries of all that libav here decodes, of what it knows and
// doesn't, and of nothing.
var codecs = []string{
	"mp4a", "alac", "fLaC", "Opus", "ac-3", "ec-3", "dtsc", "dtse", "dtsh", "dtsl", "dts+", "mlpa", "samr", "sawb", "sawp",
	".mp3", ".mp1", ".mp2", "ms\x00\x55", "ms\x00\x02", "ms\x00\x11", "ms\x00\x31", "ima4", "ulaw", "alaw", "agsm", "ilbc",
	"QDM2", "QDMC", "Qclp", "sqcp", "sevc", "MAC3", "MAC6", "twos", "sowt", "in24", "in32", "42ni", "23ni", "fl32", "fl64",
	"23lf", "46lf", "raw ", "NONE", "lpcm", "ipcm", "fpcm", "vdva", "dvca", "nmos", "iamf", "ac-4", "mha1", "mhm1",
	"enca", "drms", "aavd", "XXXX", "\x00\x00\x00\x00",
}

// objectTypes are those of esds: MPEG-4 and MPEG-2 audio, MP3, AC-3, DTS, Vorbis, QCELP,
// video, nothing.
var objectTypes = []byte{0x20, 0x40, 0x66, 0x67, 0x68, 0x69, 0x6b, 0xa5, 0xa6, 0xa9, 0xad, 0xdd, 0xde, 0xe1, 0x00, 0xff}

// entryFields are the fields of an audio sample entry (12.2.3, and QuickTime's versions).
func entryFields(head []byte) []field {
	f := []field{
		{"reference", 6, 2}, {"version", 8, 2}, {"channels", 16, 2}, {"bits", 18, 2}, {"compression", 20, 2}, {"packet", 22, 2}, {"rate", 24, 4},
	}
	switch {
	case len(head) >= 64:
		f = append(f, field{"struct", 28, 4}, field{"rate64", 32, realWidth}, field{"channels32", 40, 4}, field{"bits32", 48, 4},
			field{"flags", 52, 4}, field{"packet-bytes", 56, 4}, field{"packet-frames", 60, 4})
	case len(head) >= 44:
		f = append(f, columnsAt(28, "packet-samples", "packet-bytes", "frame-bytes", "sample-bytes")...)
	}
	return f
}

// entries are sample descriptions that lie.
func (s *Set) entries() []family {
	type target struct {
		place
		field
	}
	var descriptions, configs []int // boxes: sample entries, and leaves in them
	var targets []target
	described := map[int]bool{}
	for i, p := range s.places {
		switch {
		case p.parent >= 0 && s.places[p.parent].Type == "stsd" && p.Head != nil:
			descriptions, described[i] = append(descriptions, i), true
			for _, f := range entryFields(p.Head) {
				targets = append(targets, target{p, f})
			}
		case described[p.parent]:
			described[i] = true
			if p.Kids == nil {
				configs = append(configs, i)
			}
		}
	}
	const most = 13 // values of a field
	return append(s.configs(configs),
		family{"description", len(targets) * most, func(i int, _ *rand.Rand) (string, []byte) {
			t, values := targets[i/most], fieldValues(targets[i/most].width)
			if i%most >= len(values) {
				return "", nil
			}
			v := values[i%most]
			return fmt.Sprintf("%s/%s/%d", t.path, t.field.name, v), s.poke(t.Body+int64(t.at), bytesOf(v, max(t.width, -t.width))...)
		}},
		family{"codec", len(descriptions) * len(codecs), func(i int, _ *rand.Rand) (string, []byte) {
			p, c := s.places[descriptions[i/len(codecs)]], codecs[i%len(codecs)]
			return p.path + "/" + printable(c), s.poke(p.Start+4, []byte(c)...)
		}},
		// The other codec without what belongs to this one, and with chance in its place.
		family{"codec-bare", len(descriptions) * len(codecs) * 2, func(i int, r *rand.Rand) (string, []byte) {
			n, c, junk := descriptions[i/len(codecs)/2], codecs[i/2%len(codecs)], i%2 == 1
			return fmt.Sprintf("%s/%s/%v", s.places[n].path, printable(c), junk), s.edit(func(d *draft) bool {
				e := d.boxes[n]
				e.Type, e.Kids = c, nil
				if junk {
					for _, kind := range []string{"esds", "dOps", "alac", "dfLa", "dac3", "dec3", "ddts", "dmlp", "damr", "wave", "glbl", "pcmC", "chan"} {
						e.Kids = append(e.Kids, boxtree.New(kind, noise(r, 4+r.IntN(60))))
					}
				}
				return true
			})
		}},
	)
}

// configOps are what happens to a decoder's configuration.
var configOps = []struct {
	name string
	do   func(b []byte, r *rand.Rand) []byte
}{
	{"nothing", func([]byte, *rand.Rand) []byte { return nil }},
	{"1", func(b []byte, _ *rand.Rand) []byte { return b[:min(1, len(b))] }},
	{"4", func(b []byte, _ *rand.Rand) []byte { return b[:min(4, len(b))] }},
	{"half", func(b []byte, _ *rand.Rand) []byte { return b[:len(b)/2] }},
	{"less", func(b []byte, _ *rand.Rand) []byte { return b[:max(0, len(b)-1)] }},
	{"more", func(b []byte, _ *rand.Rand) []byte { return append(b[:len(b):len(b)], 0) }},
	{"more-64", func(b []byte, r *rand.Rand) []byte { return append(b[:len(b):len(b)], noise(r, 64)...) }},
	{"zeros-65536", func(b []byte, _ *rand.Rand) []byte { return append(b[:len(b):len(b)], make([]byte, 1<<16)...) }},
	{"noise-1048576", func(b []byte, r *rand.Rand) []byte { return append(b[:len(b):len(b)], noise(r, 1<<20)...) }},
	{"ones", func(b []byte, _ *rand.Rand) []byte { return bytes.Repeat([]byte{0xff}, len(b)) }},
	{"zeros", func(b []byte, _ *rand.Rand) []byte { return make([]byte, len(b)) }},
	{"noise", func(b []byte, r *rand.Rand) []byte { return noise(r, len(b)) }},
	{"noise-tail", func(b []byte, r *rand.Rand) []byte {
		keep := min(len(b), 4)
		return append(b[:keep:keep], noise(r, len(b)-keep)...)
	}},
	{"flips", func(b []byte, r *rand.Rand) []byte {
		b = slices.Clone(b)
		for range 1 + r.IntN(8) {
			if len(b) > 0 {
				b[r.IntN(len(b))] ^= 1 << r.IntN(8)
			}
		}
		return b
	}},
}

// configs are decoders' configurations that are cut short, too long, or chance; and of
// other profiles.
func (s *Set) configs(configs []int) []family {
	const times = 8 // of those with chance
	type esds struct {
		place
		objectType, config int64 // in the file; 0 if there is none
	}
	var streams []esds
	for _, i := range configs {
		if p := s.places[i]; p.Type == "esds" {
			objectType, config := descriptors(s.payload(p))
			e := esds{place: p}
			if objectType > 0 {
				e.objectType = p.Body + int64(objectType)
			}
			if config > 0 {
				e.config = p.Body + int64(config)
			}
			streams = append(streams, e)
		}
	}
	const profiles = 48
	return []family{
		{"config", len(configs) * len(configOps) * times, func(i int, r *rand.Rand) (string, []byte) {
			n, op, time := configs[i/times/len(configOps)], configOps[i/times%len(configOps)], i%times
			return fmt.Sprintf("%s/%s.%d", s.places[n].path, op.name, time), s.edit(func(d *draft) bool {
				d.boxes[n].Data = op.do(d.boxes[n].Data, r)
				return true
			})
		}},
		{"object-type", len(streams) * len(objectTypes), func(i int, _ *rand.Rand) (string, []byte) {
			e, v := streams[i/len(objectTypes)], objectTypes[i%len(objectTypes)]
			if e.objectType == 0 {
				return "", nil
			}
			return fmt.Sprintf("%s/%02x", e.path, v), s.poke(e.objectType, v)
		}},
		// MPEG-4 audio of all object types, over samples of another.
		{"profile", len(streams) * profiles, func(i int, r *rand.Rand) (string, []byte) {
			e, v := streams[i/profiles], uint32(i%profiles)
			if e.config == 0 || e.config+2 > e.End {
				return "", nil
			}
			old := uint32(be.Uint16(s.source[e.config:]))
			config := v<<11 | old&0x7ff
			if v >= 31 {
				config = 31<<11 | (v-32)&63<<5 | old&31
			}
			return fmt.Sprintf("%s/%d", e.path, v), s.poke(e.config, byte(config>>8), byte(config))
		}},
	}
}

// descriptors returns where the object type and the decoder's configuration lie in an esds
// box (ISO/IEC 14496-1, 7.2.6); 0 for what is not there.
func descriptors(b []byte) (objectType, config int) {
	at := 4
	for at+2 < len(b) {
		tag := b[at]
		at++
		for at < len(b) && b[at]&0x80 != 0 {
			at++
		}
		at++ // the last byte of the length
		switch tag {
		case 3:
			at += 3
		case 4:
			objectType = at
			at += 13
		case 5:
			return objectType, at
		default:
			return objectType, 0
		}
	}
	return objectType, 0
}

// noise is bytes of chance.
func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
