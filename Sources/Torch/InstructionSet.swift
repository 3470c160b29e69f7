import CTorch

/// What a processor offers the project's own CPU kernels, from the least to the most.
public enum InstructionSet: Int32, Sendable, CaseIterable {
    /// What every processor of the build's kind has: SSE2 or NEON.
    case portable = 0
    /// AVX2 and FMA.
    case avx2 = 1
    /// AVX-512 F, BW, VL and DQ.
    case avx512 = 2
    /// AVX-512 with products of bfloat16 and of bytes.
    case avx512BF16 = 3

    /// The set the kernels run with: the best of this processor, or a lesser one that libtorch's `ATEN_CPU_CAPABILITY`
    /// (`avx2`, `default`) asks for.
    public static var current: InstructionSet {
        InstructionSet(rawValue: Int32(ct_kernels_instruction_set().rawValue)) ?? .portable
    }

    /// Whether the processor multiplies bfloat16 and bytes itself, so that types narrower than float32 are faster.
    package static var multipliesNarrowTypes: Bool { current == .avx512BF16 }

    /// Whether products of bfloat16 are the processor's; they are taken in float32 otherwise, and rounded.
    package static var multipliesBFloat16: Bool { ct_kernels_multiply_bfloat16() }

    /// Makes the kernels that this thread calls run with this set, for tests and measurements.
    ///
    /// - Returns: False where this build or processor has none of the kind; nothing has changed then.
    package func use() -> Bool { ct_kernels_use(CTInstructionSet(rawValue: UInt32(rawValue))) }
}
