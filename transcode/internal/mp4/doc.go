// Package mp4 reads the structure of the MP4 family: ISO base media files
// (ISO/IEC 14496-12), MP4 (14496-14), 3GPP and QuickTime, fragmented or not.
//
// It finds the boxes, the tracks and their edit lists, and walks the samples of
// one track in constant memory: the sample tables are never loaded, a small
// window moves over each of them. It never reads media of other tracks. What a
// sample entry means is not its business: [File.Header] hands one track's entry
// to somebody who knows, as a small file without samples.
//
// The package trusts nothing that a file says. Every count is checked against
// the bytes that are really there, and every loop is bounded by the file's size.
package mp4
