public import ArgumentParser
import EttinInference
public import Torch

/// Where and in what precision a model runs.
struct ModelOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Data type to compute in (default: as stored; float16 in float32 on the CPU). int8 quantizes the linear "
                + "layers, on the CPU only."
        )
    )
    var dtype: ComputeDType?

    @OptionGroup var place: DeviceOptions

    /// Sets the number of threads and finds the device.
    ///
    /// - Throws: `DeviceError` when this machine does not have it.
    func prepare() throws -> ComputeOptions {
        let device = try place.prepare()
        if let dtype { ComputeDType.noteSlow([dtype], on: device) }
        return ComputeOptions(device: device, dtype: dtype)
    }
}

extension ComputeDType: ExpressibleByArgument {}

extension ComputeDType {
    /// Says which of the types asked for are slower than float32 here.
    static func noteSlow(_ dtypes: [ComputeDType], on device: Device) {
        guard device == .cpu else { return }
        if dtypes.contains(.float16) { Diagnostics.note("note: --dtype float16 is slower than float32 on the CPU") }
        let slow = dtypes.filter { $0 == .bfloat16 || $0 == .int8 }.map(\.rawValue)
        guard !slow.isEmpty, !InstructionSet.multipliesNarrowTypes else { return }
        Diagnostics.note(
            "note: --dtype \(slow.joined(separator: ",")) is slower than float32 on this processor, which has no BF16 and "
                + "VNNI instructions (kernels: \(TorchRuntime.kernelInstructionSet))"
        )
    }
}
