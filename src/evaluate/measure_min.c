/* SPDX-License-Identifier: Apache-2.0 */
/* min: the least reading of the window. */
#include "evaluate/measure_internal.h"

const struct davy_measure_type davy_measure_type_min = {
    .open = davy_measure_peak_open,
    .close = davy_measure_peak_close,
    .take = davy_measure_peak_take,
    .value = davy_measure_peak_value,
    .bytes = davy_measure_peak_bytes,
    .bytes_max = davy_measure_peak_bytes_max,
};
