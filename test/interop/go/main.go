// Command verify authenticates every leaf of a ledger directory with golang.org/x/mod/sumdb, which nobody here wrote:
// note.Open checks the checkpoint's signature, tlog.TileHashReader authenticates each tile it reads against the signed root.
//
//	verify VERIFIER_KEY DIRECTORY
//
// Command note opens one note with one key, of the log or of a witness (C2SP tlog-cosignature, for which x/mod has no verifier).
//
//	verify note VERIFIER_KEY FILE
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io/ioutil"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

// reader serves tiles from the directory. tlog's own paths name the height ("tile/8/0/000"), C2SP tlog-tiles' do not.
type reader struct{ directory string }

func (r reader) Height() int                     { return height }
func (r reader) SaveTiles([]tlog.Tile, [][]byte) {}
func (r reader) path(t tlog.Tile) string {
	return filepath.Join(r.directory, strings.Replace(t.Path(), "tile/8/", "tile/", 1))
}

func (r reader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		bytes, err := ioutil.ReadFile(r.path(tile))
		if err != nil {
			return nil, err
		}
		data[i] = bytes
	}
	return data, nil
}

func main() {
	var err error
	if os.Args[1] == "note" {
		err = open(os.Args[2], os.Args[3])
	} else {
		err = run(os.Args[1], os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// witness verifies what tlog-cosignature says is signed: a line with the time in front of the note's text.
type witness struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (w witness) Name() string    { return w.name }
func (w witness) KeyHash() uint32 { return w.hash }
func (w witness) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(sig), msg)
	return ed25519.Verify(w.key, []byte(signed), sig[8:])
}

func verifierOf(vkey string) (note.Verifier, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, fmt.Errorf("not a verifier key")
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != 4 {
		return note.NewVerifier(vkey)
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	hash := binary.BigEndian.Uint32(sum[:])
	if fmt.Sprintf("%08x", hash) != parts[1] {
		return nil, fmt.Errorf("the id of the key is another")
	}
	return witness{parts[0], hash, ed25519.PublicKey(key[1:])}, nil
}

func open(vkey, file string) error {
	verifier, err := verifierOf(vkey)
	if err != nil {
		return err
	}
	signed, err := ioutil.ReadFile(file)
	if err != nil {
		return err
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return err
	}
	fmt.Printf("signed by %s: %s\n", opened.Sigs[0].Name, strings.Split(opened.Text, "\n")[1])
	return nil
}

func run(key, directory string) error {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return err
	}
	signed, err := ioutil.ReadFile(filepath.Join(directory, "checkpoint"))
	if err != nil {
		return err
	}
	checkpoint, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return err
	}
	lines := strings.Split(checkpoint.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return err
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return fmt.Errorf("not a root")
	}
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], root)
	return leaves(reader{directory}, tree)
}

func leaves(r reader, tree tlog.Tree) error {
	indexes := make([]int64, tree.N)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(0, int64(i))
	}
	hashes, err := tlog.TileHashReader(tree, r).ReadHashes(indexes)
	if err != nil {
		return err
	}
	for n := int64(0); n < tree.N; n += 256 {
		width := tree.N - n
		if width > 256 {
			width = 256
		}
		tile := tlog.Tile{H: height, L: 0, N: n / 256, W: int(width)}
		path := strings.Replace(r.path(tile), "tile/0/", "tile/entries/", 1)
		bundle, err := ioutil.ReadFile(path)
		if err != nil {
			return err
		}
		for i := n; i < n+width; i++ {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				return fmt.Errorf("entry %d: the bundle is cut", i)
			}
			length := int(binary.BigEndian.Uint16(bundle))
			leaf := tlog.RecordHash(bundle[2 : 2+length])
			if !bytes.Equal(leaf[:], hashes[i][:]) {
				return fmt.Errorf("entry %d: not the leaf that the tree holds", i)
			}
			bundle = bundle[2+length:]
		}
		if len(bundle) != 0 {
			return fmt.Errorf("bytes behind entry %d", n+width-1)
		}
	}
	fmt.Printf("%d leaves\n", tree.N)
	return nil
}
