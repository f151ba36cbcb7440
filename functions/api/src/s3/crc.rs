//! Reflected cyclic redundancy checks of up to 64 bits, eight bytes at a time.

/// `TABLES[n][b]` is what the byte `b`, followed by `n` zero bytes, leaves in the register.
type Tables = [[u64; 256]; 8];

const fn tables(polynomial: u64) -> Tables {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut register = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            register = if register & 1 == 1 { (register >> 1) ^ polynomial } else { register >> 1 };
            bit += 1;
        }
        tables[0][byte] = register;
        byte += 1;
    }
    let mut zeros = 1;
    while zeros < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[zeros - 1][byte];
            tables[zeros][byte] = (before >> 8) ^ tables[0][(before & 0xFF) as usize];
            byte += 1;
        }
        zeros += 1;
    }
    tables
}

static CASTAGNOLI: Tables = tables(0x82F6_3B78);
static NVME: Tables = tables(0x9A6C_9329_AC4B_C9B5);

/// A check in the making.
#[derive(Clone)]
pub(super) struct Crc {
    tables: &'static Tables,
    ones: u64,
    register: u64,
}

impl Crc {
    /// CRC-32C.
    pub(super) fn castagnoli() -> Self {
        Self { tables: &CASTAGNOLI, ones: u64::from(u32::MAX), register: u64::from(u32::MAX) }
    }

    /// CRC-64/NVME.
    pub(super) fn nvme() -> Self {
        Self { tables: &NVME, ones: u64::MAX, register: u64::MAX }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        let tables = self.tables;
        let mut register = self.register;
        let (eights, rest) = bytes.as_chunks::<8>();
        for eight in eights {
            let mixed = (register ^ u64::from_le_bytes(*eight)).to_le_bytes();
            register = (0..8).fold(0, |sum, at| sum ^ tables[7 - at][usize::from(mixed[at])]);
        }
        for byte in rest {
            let index = (register ^ u64::from(*byte)) & 0xFF;
            register = (register >> 8) ^ tables[0][index as usize];
        }
        self.register = register;
    }

    pub(super) fn finish(&self) -> u64 {
        self.register ^ self.ones
    }
}
