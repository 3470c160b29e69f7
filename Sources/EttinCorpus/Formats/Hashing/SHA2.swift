/// SHA-2 on words of 32 bits (SHA-224, SHA-256) or 64 (SHA-384, SHA-512).
///
/// The compiler makes each width its own code, as fast as two written by hand.
///
/// > Source: FIPS 180-4, sections 6.2 to 6.5.
enum SHA2<Word: SHA2Word> {
    /// The digest at its full width; shorter variants take its beginning.
    static func digest(_ bytes: UnsafeRawBufferPointer, initial: [Word]) -> [UInt8] {
        var state = initial
        let width = MemoryLayout<Word>.size
        Word.roundConstants.withUnsafeBufferPointer { constants in
            state.withUnsafeMutableBufferPointer { state in
                withUnsafeTemporaryAllocation(of: Word.self, capacity: Word.roundCount) { words in
                    PaddedBlocks.forEach(bytes, blockSize: 16 * width, lengthSize: 2 * width, isBigEndian: true) {
                        add($0, to: state, constants, words)
                    }
                }
            }
        }
        return state.flatMap(\.bigEndianBytes)
    }

    private static func add(
        _ block: UnsafeRawPointer,
        to state: UnsafeMutableBufferPointer<Word>,
        _ constants: UnsafeBufferPointer<Word>,
        _ words: UnsafeMutableBufferPointer<Word>
    ) {
        for index in 0..<16 {
            let offset = index &* MemoryLayout<Word>.size
            words[index] = Word(bigEndian: block.loadUnaligned(fromByteOffset: offset, as: Word.self))
        }
        for index in 16..<Word.roundCount {
            words[index] =
                words[index &- 16] &+ words[index &- 15].mixedEarly &+ words[index &- 7]
                &+ words[index &- 2].mixedLate
        }
        var (a, b, c, d) = (state[0], state[1], state[2], state[3])
        var (e, f, g, h) = (state[4], state[5], state[6], state[7])
        for index in 0..<Word.roundCount {
            let sum = h &+ e.mixedSecond &+ (e & f ^ ~e & g) &+ constants[index] &+ words[index]
            let majority = a & b ^ a & c ^ b & c
            (h, g, f, e, d, c, b, a) = (g, f, e, d &+ sum, c, b, a, sum &+ a.mixedFirst &+ majority)
        }
        (state[0], state[1], state[2], state[3]) = (state[0] &+ a, state[1] &+ b, state[2] &+ c, state[3] &+ d)
        (state[4], state[5], state[6], state[7]) = (state[4] &+ e, state[5] &+ f, state[6] &+ g, state[7] &+ h)
    }
}

/// A width of SHA-2: how often it mixes words, and how.
///
/// The functions are σ₀, σ₁, Σ₀ and Σ₁ of the standard.
protocol SHA2Word: FixedWidthInteger {
    static var roundCount: Int { get }
    static var roundConstants: [Self] { get }
    /// The state that the digest of full width begins with.
    static var fullStart: [Self] { get }
    /// The state that the shortened digest begins with.
    static var shortenedStart: [Self] { get }
    var mixedEarly: Self { get }
    var mixedLate: Self { get }
    var mixedFirst: Self { get }
    var mixedSecond: Self { get }
}

extension SHA2Word {
    @inline(__always)
    fileprivate func rotated(by count: Self) -> Self {
        self &>> count | self &<< (Self(truncatingIfNeeded: Self.bitWidth) &- count)
    }
}

extension UInt32: SHA2Word {
    static let roundCount = 64
    // The standard derives all of these from the numbers for 64 bits.
    static let roundConstants = UInt64.roundConstants.prefix(64).map { UInt32(truncatingIfNeeded: $0 >> 32) }
    static let fullStart = UInt64.fullStart.map { UInt32(truncatingIfNeeded: $0 >> 32) }
    static let shortenedStart = UInt64.shortenedStart.map { UInt32(truncatingIfNeeded: $0) }
    @inline(__always) var mixedEarly: UInt32 { rotated(by: 7) ^ rotated(by: 18) ^ self >> 3 }
    @inline(__always) var mixedLate: UInt32 { rotated(by: 17) ^ rotated(by: 19) ^ self >> 10 }
    @inline(__always) var mixedFirst: UInt32 { rotated(by: 2) ^ rotated(by: 13) ^ rotated(by: 22) }
    @inline(__always) var mixedSecond: UInt32 { rotated(by: 6) ^ rotated(by: 11) ^ rotated(by: 25) }
}

extension UInt64: SHA2Word {
    static let roundCount = 80
    @inline(__always) var mixedEarly: UInt64 { rotated(by: 1) ^ rotated(by: 8) ^ self >> 7 }
    @inline(__always) var mixedLate: UInt64 { rotated(by: 19) ^ rotated(by: 61) ^ self >> 6 }
    @inline(__always) var mixedFirst: UInt64 { rotated(by: 28) ^ rotated(by: 34) ^ rotated(by: 39) }
    @inline(__always) var mixedSecond: UInt64 { rotated(by: 14) ^ rotated(by: 18) ^ rotated(by: 41) }
    /// From the square roots of the first eight primes.
    static let fullStart: [UInt64] = [
        0x6a09_e667_f3bc_c908, 0xbb67_ae85_84ca_a73b, 0x3c6e_f372_fe94_f82b, 0xa54f_f53a_5f1d_36f1,
        0x510e_527f_ade6_82d1, 0x9b05_688c_2b3e_6c1f, 0x1f83_d9ab_fb41_bd6b, 0x5be0_cd19_137e_2179,
    ]
    /// From the square roots of the eight primes after those.
    static let shortenedStart: [UInt64] = [
        0xcbbb_9d5d_c105_9ed8, 0x629a_292a_367c_d507, 0x9159_015a_3070_dd17, 0x152f_ecd8_f70e_5939,
        0x6733_2667_ffc0_0b31, 0x8eb4_4a87_6858_1511, 0xdb0c_2e0d_64f9_8fa7, 0x47b5_481d_befa_4fa4,
    ]
    /// From the cube roots of the first primes.
    static let roundConstants: [UInt64] = [
        0x428a_2f98_d728_ae22, 0x7137_4491_23ef_65cd, 0xb5c0_fbcf_ec4d_3b2f, 0xe9b5_dba5_8189_dbbc,
        0x3956_c25b_f348_b538, 0x59f1_11f1_b605_d019, 0x923f_82a4_af19_4f9b, 0xab1c_5ed5_da6d_8118,
        0xd807_aa98_a303_0242, 0x1283_5b01_4570_6fbe, 0x2431_85be_4ee4_b28c, 0x550c_7dc3_d5ff_b4e2,
        0x72be_5d74_f27b_896f, 0x80de_b1fe_3b16_96b1, 0x9bdc_06a7_25c7_1235, 0xc19b_f174_cf69_2694,
        0xe49b_69c1_9ef1_4ad2, 0xefbe_4786_384f_25e3, 0x0fc1_9dc6_8b8c_d5b5, 0x240c_a1cc_77ac_9c65,
        0x2de9_2c6f_592b_0275, 0x4a74_84aa_6ea6_e483, 0x5cb0_a9dc_bd41_fbd4, 0x76f9_88da_8311_53b5,
        0x983e_5152_ee66_dfab, 0xa831_c66d_2db4_3210, 0xb003_27c8_98fb_213f, 0xbf59_7fc7_beef_0ee4,
        0xc6e0_0bf3_3da8_8fc2, 0xd5a7_9147_930a_a725, 0x06ca_6351_e003_826f, 0x1429_2967_0a0e_6e70,
        0x27b7_0a85_46d2_2ffc, 0x2e1b_2138_5c26_c926, 0x4d2c_6dfc_5ac4_2aed, 0x5338_0d13_9d95_b3df,
        0x650a_7354_8baf_63de, 0x766a_0abb_3c77_b2a8, 0x81c2_c92e_47ed_aee6, 0x9272_2c85_1482_353b,
        0xa2bf_e8a1_4cf1_0364, 0xa81a_664b_bc42_3001, 0xc24b_8b70_d0f8_9791, 0xc76c_51a3_0654_be30,
        0xd192_e819_d6ef_5218, 0xd699_0624_5565_a910, 0xf40e_3585_5771_202a, 0x106a_a070_32bb_d1b8,
        0x19a4_c116_b8d2_d0c8, 0x1e37_6c08_5141_ab53, 0x2748_774c_df8e_eb99, 0x34b0_bcb5_e19b_48a8,
        0x391c_0cb3_c5c9_5a63, 0x4ed8_aa4a_e341_8acb, 0x5b9c_ca4f_7763_e373, 0x682e_6ff3_d6b2_b8a3,
        0x748f_82ee_5def_b2fc, 0x78a5_636f_4317_2f60, 0x84c8_7814_a1f0_ab72, 0x8cc7_0208_1a64_39ec,
        0x90be_fffa_2363_1e28, 0xa450_6ceb_de82_bde9, 0xbef9_a3f7_b2c6_7915, 0xc671_78f2_e372_532b,
        0xca27_3ece_ea26_619c, 0xd186_b8c7_21c0_c207, 0xeada_7dd6_cde0_eb1e, 0xf57d_4f7f_ee6e_d178,
        0x06f0_67aa_7217_6fba, 0x0a63_7dc5_a2c8_98a6, 0x113f_9804_bef9_0dae, 0x1b71_0b35_131c_471b,
        0x28db_77f5_2304_7d84, 0x32ca_ab7b_40c7_2493, 0x3c9e_be0a_15c9_bebc, 0x431d_67c4_9c10_0d4c,
        0x4cc5_d4be_cb3e_42b6, 0x597f_299c_fc65_7e2a, 0x5fcb_6fab_3ad6_faec, 0x6c44_198c_4a47_5817,
    ]
}
