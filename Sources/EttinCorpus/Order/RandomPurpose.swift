import EttinPrimitives

/// What random numbers are drawn for, so that one seed gives unrelated numbers to each.
enum RandomPurpose: UInt64 {
    case order = 0x6F72_6465_7200_0001
    case masking = 0x6D61_736B_0000_0002
    case holdOut = 0x6865_6C64_0000_0003

    func generator(seed: UInt64, stream: UInt64) -> Philox { Philox(seed: seed ^ rawValue, stream: stream) }
}
