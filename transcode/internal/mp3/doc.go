// Package mp3 knows the Layer III bitstream from the outside: frame headers,
// the framing of an elementary stream, and the Xing/Info header with LAME's
// extension that players read for duration, seeking and gapless playback. It
// neither encodes nor decodes audio.
//
// Sources: ISO/IEC 11172-3 §2.4.1.3 and §2.4.2.3 (MPEG-1 frame header),
// ISO/IEC 13818-3 §2.4.2.3 (MPEG-2, the low sampling frequencies), the MPEG-2.5
// extension of Fraunhofer IIS, the Xing VBR header SDK, and "Mp3 Info Tag
// revision 1" by Gabriel Bouvigne
// (http://gabriel.mp3-tech.org/mp3infotag.html).
package mp3
