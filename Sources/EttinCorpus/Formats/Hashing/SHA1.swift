/// SHA-1.
///
/// > Source: FIPS 180-4, section 6.1.
enum SHA1 {
    static func digest(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var state: (UInt32, UInt32, UInt32, UInt32, UInt32) = (
            0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0
        )
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 80) { words in
            PaddedBlocks.forEach(bytes, blockSize: 64, lengthSize: 8, isBigEndian: true) { block in
                for index in 0..<16 {
                    words[index] = UInt32(bigEndian: block.loadUnaligned(fromByteOffset: index &* 4, as: UInt32.self))
                }
                for index in 16..<80 {
                    let word = words[index &- 3] ^ words[index &- 8] ^ words[index &- 14] ^ words[index &- 16]
                    words[index] = word << 1 | word >> 31
                }
                var (a, b, c, d, e) = state
                func step(_ index: Int, _ mixed: UInt32, _ constant: UInt32) {
                    let sum = (a << 5 | a >> 27) &+ mixed &+ e &+ constant &+ words[index]
                    (e, d, c, b, a) = (d, c, b << 30 | b >> 2, a, sum)
                }
                for index in 0..<20 { step(index, b & c | ~b & d, 0x5a82_7999) }
                for index in 20..<40 { step(index, b ^ c ^ d, 0x6ed9_eba1) }
                for index in 40..<60 { step(index, b & c | b & d | c & d, 0x8f1b_bcdc) }
                for index in 60..<80 { step(index, b ^ c ^ d, 0xca62_c1d6) }
                state = (state.0 &+ a, state.1 &+ b, state.2 &+ c, state.3 &+ d, state.4 &+ e)
            }
        }
        return [state.0, state.1, state.2, state.3, state.4].flatMap(\.bigEndianBytes)
    }
}
